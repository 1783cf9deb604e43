//! `deepaug export`.

use deepaug::{Error, Policies};

use crate::{args, output};

pub(crate) fn run(args: &args::Export) -> Result<(), Error> {
    let policies = Policies::answer(&args.found.policy, args.found.top)?;
    let code = policies.export(args.to)?;
    if let Some(path) = &args.out {
        std::fs::write(path, &code).map_err(|source| Error::File { path: path.clone(), source })?;
    }
    if args.json {
        output::json(&serde_json::json!({ "to": args.to.name(), "policies": policies.policies.len(), "code": code }));
    } else if args.out.is_none() {
        output::line(code.trim_end());
    }
    Ok(())
}
