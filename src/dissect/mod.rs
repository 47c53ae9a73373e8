//! One frame as a tree of named fields, read again from the file with what the store knows about it.
