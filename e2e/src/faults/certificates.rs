//! Certificates for trials, made by `openssl`.

use std::path::Path;
use std::process::Command;

use crate::{Result, ensure};

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// For how long a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// Since yesterday, until tomorrow.
    Present,
    /// A day of 2020.
    Past,
}

/// Makes an authority: `NAME.crt` and `NAME.key` in this folder.
pub(super) fn authority(folder: &Path, name: &str) -> Result {
    let arguments = format!(
        "req -x509 {KEY} -days 2 -keyout {name}.key -out {name}.crt -subj /CN={name} \
         -addext basicConstraints=critical,CA:TRUE"
    );
    openssl(folder, &arguments)
}

/// Makes a certificate that an authority has signed, for a place such as `IP:127.0.0.1`.
pub(super) fn signed(folder: &Path, by: &str, name: &str, place: &str, term: Term) -> Result {
    let settings = format!(
        "[ca]\ndefault_ca=d\n[d]\ndatabase={name}.index\nserial={name}.serial\nnew_certs_dir=.\n\
         default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n\
         [e]\nsubjectAltName={place}\nbasicConstraints=CA:FALSE\n"
    );
    std::fs::write(folder.join(format!("{name}.conf")), settings)?;
    std::fs::write(folder.join(format!("{name}.index")), "")?;
    std::fs::write(folder.join(format!("{name}.serial")), "01\n")?;
    let term = match term {
        Term::Present => "-days 2",
        Term::Past => "-startdate 20200101000000Z -enddate 20200102000000Z",
    };
    let request = format!("req {KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}");
    openssl(folder, &request)?;
    let signature = format!(
        "ca -batch -config {name}.conf -cert {by}.crt -keyfile {by}.key -in {name}.csr \
         -out {name}.crt -notext {term}"
    );
    openssl(folder, &signature)
}

fn openssl(folder: &Path, arguments: &str) -> Result {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .map_err(|error| format!("this row needs openssl: {error}"))?;
    ensure(output.status.success(), || {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("openssl {arguments}: {said}")
    })
}
