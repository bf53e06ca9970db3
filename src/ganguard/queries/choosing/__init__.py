"""What an adversary asks for next, from what it has learnt of the images that it bought (active queries).

It buys in rounds: a pilot that is drawn as usual, and then each time as many images again as it holds.
"""
