"""The sync process: everything that touches this computer or the network."""
