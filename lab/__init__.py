"""The lab: real servers, faults and load that make a real service hang on purpose."""
