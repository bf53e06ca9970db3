"""The only road to a target: a durable ledger, a meter around the target, and a store of what was bought."""
