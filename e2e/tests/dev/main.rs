//! `tidemill dev`, in real processes.

mod file;
