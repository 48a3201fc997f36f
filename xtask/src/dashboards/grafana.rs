//! Grafana's own types, from npm, over the dashboards.

use std::fmt::Write as _;
use std::path::Path;

use super::all;
use crate::step::{Outcome, command, root, run};

/// What is taken from npm. Pinned, so that nothing changes here by itself.
const PACKAGES: [&str; 2] = ["@grafana/schema@13.2.3", "typescript@7.0.2"];

/// A file of JSON has the texts of an enumeration where a program has its members, and a query has what its
/// datasource understands besides.
const PRELUDE: &str = "\
import type { Dashboard } from '@grafana/schema';
type Plain<T> =
  T extends string ? `${T}`
  : T extends { refId: string } ? { refId: string } & Record<string, unknown>
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;
";

/// Has TypeScript compare the dashboards with `Dashboard` of `@grafana/schema`. Left out where there is
/// no npm: nobody needs Node to work on Tidemill, and the files do not change between two machines.
pub(crate) fn check() -> Outcome {
    let has_npm = command("npm", &["--version"]).output();
    if !has_npm.is_ok_and(|output| output.status.success()) {
        println!("npm is not installed: left out");
        return Ok(());
    }
    let folder = root().join("target/dashboard-types");
    let failed = |error: std::io::Error| vec![format!("{}: {error}", folder.display())];
    std::fs::create_dir_all(&folder).map_err(failed)?;
    write(&folder)?;
    let mut install = command("npm", &["install", "--no-audit", "--no-fund", "--silent"]);
    install
        .args(["--ignore-scripts", "--no-save"])
        .args(PACKAGES);
    run(in_folder(install, &folder))?;
    let mut compare = command("node_modules/.bin/tsc", &["--noEmit", "--strict"]);
    compare.args(["--skipLibCheck", "--moduleResolution", "bundler"]);
    compare.args(["--module", "esnext", "dashboards.ts"]);
    run(in_folder(compare, &folder))
}

fn in_folder(mut command: std::process::Command, folder: &Path) -> std::process::Command {
    command.current_dir(folder);
    command
}

/// One program that is nothing but the dashboards, as values of Grafana's type.
fn write(folder: &Path) -> Outcome {
    let mut program = PRELUDE.to_owned();
    for (number, (_, text)) in all()?.iter().enumerate() {
        let text = text.trim_end();
        writeln!(
            program,
            "export const dashboard{number}: Plain<Dashboard> = {text};"
        )
        .map_err(|error| vec![error.to_string()])?;
    }
    let failed = |error: std::io::Error| vec![format!("{}: {error}", folder.display())];
    std::fs::write(folder.join("package.json"), "{ \"private\": true }\n").map_err(failed)?;
    std::fs::write(folder.join("dashboards.ts"), program).map_err(failed)
}
