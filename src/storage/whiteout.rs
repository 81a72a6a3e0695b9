//! Whiteouts: from the archive's names to overlay's form.
