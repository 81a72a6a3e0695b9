//! Selecting, hashing and copying files: COPY and ADD.
