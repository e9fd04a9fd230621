"""What survives the process: the evidence it told, in files of its own, and how they are read."""
