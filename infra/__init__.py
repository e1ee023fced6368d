"""The edge: settings, wiring, stores, command line. Imported by nobody."""
