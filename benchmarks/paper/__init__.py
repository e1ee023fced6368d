"""Every claim of the paper and of the notice, measured or cited: `make paper`."""
