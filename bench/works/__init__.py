"""Work, by peer: each module runs in the environment of the peer whose work it does."""
