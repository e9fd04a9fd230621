"""Files of other tracers, read into the same requests that arrive over the network."""
