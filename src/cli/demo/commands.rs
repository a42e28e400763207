//! What to type next, ready to paste. CI runs each of these lines as it stands.

use std::path::Path;

use crate::cli::connection::Server;

/// The commands, each on a line of its own behind `  $ `.
pub(super) fn text(server: &Server) -> String {
    let folder = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let key_file = server.api_key_file.as_deref().unwrap_or_else(|| Path::new(""));
    let mut text = String::from("\nIn another terminal:\n\n");
    if let Some(folder) = folder {
        text.push_str(&format!("  $ export PATH={}:\"$PATH\"\n", quoted(&folder.display().to_string())));
    }
    text.push_str(&format!(
        "  $ export PEERAGE_ADDRESS={} PEERAGE_API_KEY_FILE={}\n",
        quoted(&server.address),
        quoted(&key_file.display().to_string())
    ));
    text.push_str(COMMANDS);
    text.push_str("\nThe server keeps running until Ctrl-C; then the demo's folder is gone.\n");
    text
}

const COMMANDS: &str = r#"  $ peerage authorize emily@contosomsp.com users.reset_password contoso-corp
  $ peerage peers list --account contoso-msp --kind PERSON --limit 10
  $ peerage accounts list --under contoso-msp
  $ peerage roles matrix opspilot365
  $ peerage roles bindings --account contoso-corp
  $ peerage accounts create pinecrest --kind CUSTOMER --parent contoso-msp --title 'Pinecrest Tours' --label env=test
  $ peerage roles bind emily@contosomsp.com opspilot365.technician pinecrest
  $ peerage authorize emily@contosomsp.com devices.view pinecrest -o json
  $ peerage audit list --account contoso-msp --descendants --limit 5

With grpcurl (reflection needs the key too):

  $ export PEERAGE_API_KEY="$(cat "$PEERAGE_API_KEY_FILE")"
  $ grpcurl -plaintext -H "authorization: Bearer $PEERAGE_API_KEY" "$PEERAGE_ADDRESS" list
  $ grpcurl -plaintext -H "authorization: Bearer $PEERAGE_API_KEY" \
      -d '{"peer": "peers/@emily@contosomsp.com", "permission": "licenses.order", "account": "accounts/contoso-corp"}' \
      "$PEERAGE_ADDRESS" peerage.v1.AccountAccessService/Authorize
  $ grpcurl -plaintext -H "authorization: Bearer $PEERAGE_API_KEY" -d '{"account": "accounts/contoso-msp", "page_size": 3}' \
      "$PEERAGE_ADDRESS" peerage.v1.PeerService/ListPeers
"#;

/// A word for a POSIX shell.
fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "/._-:@+".contains(character));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("/tmp/peerage-demo-x1/key"), "/tmp/peerage-demo-x1/key");
        assert_eq!(quoted("/home/o'neil/a b"), r"'/home/o'\''neil/a b'");
    }
}
