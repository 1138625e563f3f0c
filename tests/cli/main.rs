//! The binary as a user meets it. One test program, so that it links once.
