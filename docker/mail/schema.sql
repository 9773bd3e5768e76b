-- What Postfix, Dovecot and opendkim read, and the product alone writes (but for `usage`, which is Dovecot's).
-- Applied any number of times: `psql "$POSTFIX_DATABASE_URL" -f schema.sql`.
BEGIN;

CREATE TABLE IF NOT EXISTS mail_domains (
    name text PRIMARY KEY CHECK (name = lower(name)),
    owner text NOT NULL,
    quota bigint CHECK (quota >= 0),           -- bytes, for all its mailboxes together
    dkim_selector text,
    dkim_private text,                         -- PEM
    dkim_public text,                          -- base64, as in the DNS
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((dkim_private IS NULL) = (dkim_public IS NULL) AND (dkim_private IS NULL) = (dkim_selector IS NULL))
);

CREATE TABLE IF NOT EXISTS mailboxes (
    address text PRIMARY KEY CHECK (address = lower(address)),
    domain text NOT NULL REFERENCES mail_domains,
    owner text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('personal', 'shared', 'redirect')),
    display_name text NOT NULL DEFAULT '',
    active boolean NOT NULL DEFAULT true,
    quota bigint CHECK (quota >= 0),           -- bytes; NULL: only the domain's
    password text,                             -- a hash with its scheme; NULL: nobody enters
    -- Where its mail lies: an address given anew never finds the mail of the one before.
    place uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (split_part(address, '@', 2) = domain),
    CHECK (kind <> 'redirect' OR password IS NULL)
);
CREATE INDEX IF NOT EXISTS mailboxes_domain ON mailboxes (domain);

CREATE TABLE IF NOT EXISTS targets (
    address text NOT NULL REFERENCES mailboxes ON DELETE CASCADE,
    target text NOT NULL,
    PRIMARY KEY (address, target)
);

CREATE TABLE IF NOT EXISTS usage (
    address text PRIMARY KEY,
    bytes bigint NOT NULL DEFAULT 0,
    messages bigint NOT NULL DEFAULT 0
);

-- Dovecot's quota_clone inserts, again and again, one column at a time.
CREATE OR REPLACE FUNCTION usage_is_one_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE usage SET
        bytes = CASE WHEN NEW.bytes = 0 AND NEW.messages <> 0 THEN bytes ELSE NEW.bytes END,
        messages = CASE WHEN NEW.messages = 0 AND NEW.bytes <> 0 THEN messages ELSE NEW.messages END
    WHERE address = NEW.address;
    IF FOUND OR NOT EXISTS (SELECT FROM mailboxes WHERE address = NEW.address) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER usage_is_one_row BEFORE INSERT ON usage FOR EACH ROW EXECUTE FUNCTION usage_is_one_row();

-- What a mailbox may hold now: its own bound, and what the others leave of the domain's. 0 means no bound to Dovecot.
CREATE OR REPLACE FUNCTION room(box text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT greatest(1, least(
        m.quota,
        d.quota - (
            SELECT coalesce(sum(u.bytes), 0)::bigint
            FROM usage u JOIN mailboxes o USING (address)
            WHERE o.domain = m.domain AND o.address <> m.address
        )
    )) FROM mailboxes m JOIN mail_domains d ON d.name = m.domain
    WHERE m.address = box AND (m.quota IS NOT NULL OR d.quota IS NOT NULL)
$$;

-- As opendkim looks: a sender's domain gives a key, a key gives what to sign with.
CREATE OR REPLACE VIEW dkim_signing AS SELECT name, name AS key FROM mail_domains WHERE dkim_private IS NOT NULL;
CREATE OR REPLACE VIEW dkim_keys AS
    SELECT name AS key, name AS domain, dkim_selector AS selector, dkim_private AS private
    FROM mail_domains WHERE dkim_private IS NOT NULL;

COMMIT;
