//! `deepaug export`.

use deepaug::{Error, Policies, Target};

use super::keep;
use crate::{args, output};

/// How the modules begin.
const HEAD: &[u8] = b"\"\"\"Image augmentation for ";

pub(crate) fn run(args: &args::Export) -> Result<(), Error> {
    let policies = Policies::answer(&args.found.policy, args.found.top)?;
    let code = policies.export(args.to)?;
    if let Some(path) = &args.out {
        let is_ours = |bytes: &[u8]| match args.to {
            Target::Json => Policies::read(path, 1).is_ok(),
            _ => bytes.starts_with(HEAD),
        };
        keep(path, is_ours, "such an export")?;
        std::fs::write(path, &code).map_err(|source| Error::File { path: path.clone(), source })?;
    }
    if args.json {
        output::json(&serde_json::json!({ "to": args.to.name(), "policies": policies.policies.len(), "code": code }));
    } else if args.out.is_none() {
        output::line(code.trim_end());
    }
    Ok(())
}
