"""What methods do to held-out prompts: languages × few-shot draws, with intervals and pictures."""
