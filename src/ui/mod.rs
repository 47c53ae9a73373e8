//! Draws the state of the app; reads it and changes nothing.
