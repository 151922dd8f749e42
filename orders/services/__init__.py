"""The story of a deal, a module each, from the cart to the last refund, and the proof of its books."""
