"""Is a language still what it was? Live traffic against what it was when its version was new."""
