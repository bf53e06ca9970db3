"""GAN training: losses, EMA, the loop; and the small classifier that serves as a feature network."""
