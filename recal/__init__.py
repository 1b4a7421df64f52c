"""The offline side: from labelled prompts to promoted calibrations."""
