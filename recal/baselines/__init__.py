"""What Recal is compared with: each gives one treatment per prompt, and any of them could serve."""
