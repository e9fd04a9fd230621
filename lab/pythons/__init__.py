"""The probe and the engine on every Python that can be had on this machine."""
