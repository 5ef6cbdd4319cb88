"""What the engine has said over HTTP, for programs and for the page: a store in, JSON and a stream of events out."""
