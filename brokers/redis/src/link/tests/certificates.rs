//! Certificates made for a test, by `openssl`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A CA and what it has signed, in a folder of their own.
pub(super) struct Authority {
    folder: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        openssl(
            folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout ca.key -out ca.crt -subj /CN=tidemill-test \
             -addext basicConstraints=critical,CA:TRUE",
        );
        Self { folder }
    }

    /// Signs a certificate for this host; its files are `name.crt` and `name.key`.
    pub(super) fn sign(&self, name: &str, host: &str) {
        self.sign_for(name, host, 2);
    }

    /// The same, good for so many days; one that was good until yesterday is for -1.
    pub(super) fn sign_for(&self, name: &str, host: &str, days: i32) {
        let folder = self.folder.path();
        openssl(
            folder,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                 -keyout {name}.key -out {name}.csr -subj /CN={name}"
            ),
        );
        let extensions = format!("subjectAltName={host}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(folder.join("extensions"), extensions).unwrap();
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {days} \
                 -extfile extensions -out {name}.crt"
            ),
        );
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let status = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the tests need openssl: apt-get install openssl");
    assert!(status.success(), "openssl {arguments}");
}
