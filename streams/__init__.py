"""The only home of faust and aiokafka: what is read, which step runs, what is written, when it is acknowledged."""
