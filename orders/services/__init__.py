"""The story of a deal, a module each: cart, checkout, payment, cancellation, fulfillment, refunds."""
