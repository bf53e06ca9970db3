"""From finished steps to the results, pictures and checkpoints that a person opens."""
