"""The course of an incident: what there was of everything, moment by moment. Pure."""
