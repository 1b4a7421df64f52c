"""The artefacts that the offline side makes and the online side loads."""
