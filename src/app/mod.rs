//! All state of the screen and every change to it; no type of the terminal appears here.
