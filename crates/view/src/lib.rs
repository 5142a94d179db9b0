//! Object trees as rows: what both the terminal and a page show.
