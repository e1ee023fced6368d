"""The closed loop on texts whose codes are known: code, route under a promise, label what is routed, learn, go on."""
