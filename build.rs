//! Compiles `proto/` with protox, so that no installed protoc is needed.

use std::path::{Path, PathBuf};

/// Messages that hold a secret.
const SECRET_MESSAGES: [&str; 3] =
    [".peerage.v1.CreatePeerRequest", ".peerage.v1.SetPasswordRequest", ".peerage.v1.GeneratePasswordResponse"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut protos = Vec::new();
    collect(Path::new("proto"), &mut protos)?;
    protos.sort();
    // Named one by one: a bare build script would run again on any edit in the package.
    println!("cargo:rerun-if-changed=proto");
    for proto in &protos {
        println!("cargo:rerun-if-changed={}", proto.display());
    }
    let descriptors = protox::compile(&protos, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptor.binpb"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .bytes(".")
        // Encoded anew, equal messages give equal bytes, which `request_id` compares.
        .btree_map(".")
        // Written by hand beside the generated code, so that no log line can hold a password.
        .skip_debug(SECRET_MESSAGES)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(descriptors)?;
    Ok(())
}

fn collect(folder: &Path, protos: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, protos)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            protos.push(path);
        }
    }
    Ok(())
}
