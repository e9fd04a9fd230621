"""What the use cases need from the world; an adapter has the file name of its port."""
