"""The models of one service and the door to them: a request in, an answer out."""
