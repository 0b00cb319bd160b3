//! `retouch key`: an installation's first keys, made where its database is. Later ones are made through the API.

use std::num::NonZeroU16;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use retouch_api::key::new_key;
use retouch_bootstrap::{Settings, stores};
use retouch_domain::{KeyId, Scope, TenantId};
use retouch_ports::store::{KeyRecord, NewKey, Page};
use retouch_ports::{Ids, JobStore, PortError, SystemIds};
use serde_json::{Value, json};

use super::{api, runtime};
use crate::failure::{Blame, Failure, chain, print};
use crate::settings::{SettingsArgs, process, unusable};

/// Keys that one question to the store answers.
const PAGE: u32 = 1000;

/// What is done to keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key. It is printed once and nowhere kept
    New(NewArgs),
    /// List a tenant's keys
    Ls(TenantArgs),
    /// Make a key worth nothing, from now on and everywhere
    Revoke(RevokeArgs),
}

/// The arguments of `retouch key new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Whose key it is; a new tenant if absent
    #[arg(long)]
    tenant: Option<TenantId>,
    /// What you call it
    #[arg(long, default_value = "made by retouch key new")]
    name: String,
    /// What it may do; each scope includes those before it
    #[arg(long, value_parser = ["read", "write", "admin"], default_value = "admin")]
    scope: String,
    /// After how many days it ends; never if absent
    #[arg(long)]
    days: Option<NonZeroU16>,
}

/// The arguments of `retouch key ls`.
#[derive(Debug, Args)]
pub struct TenantArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Whose keys
    #[arg(long)]
    tenant: TenantId,
}

/// The arguments of `retouch key revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    of: TenantArgs,
    /// The id of the key, as `retouch key ls` has it
    key: KeyId,
}

/// Runs a command and reports.
pub fn run(command: &Keys) -> ExitCode {
    let (json, result) = match command {
        Keys::New(args) => {
            (args.settings.json, on_store(&args.settings, async |at, store| new(args, at, store).await))
        }
        Keys::Ls(args) => {
            (args.settings.json, on_store(&args.settings, async |_, store| list(args, store).await))
        }
        Keys::Revoke(args) => {
            (args.of.settings.json, on_store(&args.of.settings, async |_, store| revoke(args, store).await))
        }
    };
    result.map_or_else(|failure| failure.report(json), |()| ExitCode::SUCCESS)
}

fn on_store(
    args: &SettingsArgs,
    command: impl AsyncFnOnce(&Settings, Arc<dyn JobStore>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let settings = args.load()?;
    runtime()?.block_on(async {
        let store = stores::store(&settings.store, &process()).await.map_err(|error| unusable(&error))?;
        command(&settings, store).await
    })
}

async fn new(args: &NewArgs, settings: &Settings, store: Arc<dyn JobStore>) -> Result<(), Failure> {
    let secret = api::secret(settings.api.key_secret.reveal())?;
    let days = |days: NonZeroU16| Duration::from_secs(86_400) * u32::from(days.get());
    let now = store.now().await.map_err(|error| failed(&error))?;
    let (key, id) = (new_key(), KeyId::new(SystemIds.uuid()));
    let record = NewKey {
        id,
        tenant: args.tenant.unwrap_or_else(|| TenantId::new(SystemIds.uuid())),
        name: args.name.clone(),
        scope: Scope::from_code(&args.scope).unwrap_or(Scope::Read),
        digest: secret.digest(&key),
        expires_at: args.days.map(|number| now + days(number)),
    };
    store.add_key(&record).await.map_err(|error| failed(&error))?;
    if args.settings.json {
        return print(&json!({ "key": key, "id": id.to_string(), "tenant": record.tenant.to_string() }));
    }
    print(&format_args!("tenant {}\nid     {id}\nkey    {key}", record.tenant))
}

async fn list(args: &TenantArgs, store: Arc<dyn JobStore>) -> Result<(), Failure> {
    let mut keys = Vec::new();
    loop {
        let after = keys.last().map(|key: &KeyRecord| key.id);
        let page =
            store.keys(args.tenant, Page { after, limit: PAGE }).await.map_err(|error| failed(&error))?;
        let last = page.len() < PAGE as usize;
        keys.extend(page);
        if last {
            break;
        }
    }
    if args.settings.json {
        return print(&json!({ "keys": keys.iter().map(record).collect::<Vec<_>>() }));
    }
    keys.iter().try_for_each(|key| {
        let worth = if key.revoked_at.is_some() { "revoked" } else { "in force" };
        print(&format_args!("{}  {:5}  {worth:8}  {}", key.id, key.scope.code(), key.name))
    })
}

fn record(key: &KeyRecord) -> Value {
    json!({
        "id": key.id.to_string(),
        "name": key.name,
        "scope": key.scope.code(),
        "revoked": key.revoked_at.is_some(),
    })
}

async fn revoke(args: &RevokeArgs, store: Arc<dyn JobStore>) -> Result<(), Failure> {
    store.revoke_key(args.of.tenant, args.key).await.map_err(|error| failed(&error))?;
    if args.of.settings.json {
        return print(&json!({ "id": args.key.to_string(), "revoked": true }));
    }
    print(&format_args!("{} is worth nothing from now on", args.key))
}

fn failed(error: &PortError) -> Failure {
    let kind = error.kind();
    let blame = match kind {
        retouch_ports::PortErrorKind::Invalid | retouch_ports::PortErrorKind::NotFound => Blame::Parameters,
        _ => Blame::Installation,
    };
    Failure::new(blame, kind.code(), chain(error))
}
