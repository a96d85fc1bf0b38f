"""One module per format that usage comes in. Each turns a body into events and declares its token convention."""
