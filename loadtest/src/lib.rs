//! tidemill-loadtest
