"""The online side: language identification, gate, generation, and the front door over them."""
