"""Published prompt files to labelled prompts: fetched, checked, de-duplicated, split by group."""
