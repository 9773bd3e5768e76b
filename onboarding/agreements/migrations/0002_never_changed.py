from django.db import migrations

FORWARD = """
CREATE FUNCTION agreements_text_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.published_at IS NOT NULL THEN
        RAISE EXCEPTION 'a published text never changes: % refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER agreements_text_fixed BEFORE UPDATE OR DELETE ON agreements_text
    FOR EACH ROW EXECUTE FUNCTION agreements_text_is_fixed();

CREATE FUNCTION agreements_price_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parent uuid := CASE WHEN TG_OP = 'INSERT' THEN NEW.text_id ELSE OLD.text_id END;
BEGIN
    -- The lock waits for whoever publishes at this moment.
    PERFORM 1 FROM agreements_text WHERE id = parent FOR SHARE;
    IF EXISTS (SELECT 1 FROM agreements_text
               WHERE published_at IS NOT NULL
                 AND (id = parent OR (TG_OP = 'UPDATE' AND id = NEW.text_id))) THEN
        RAISE EXCEPTION 'the prices of a published text never change: % refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER agreements_price_fixed BEFORE INSERT OR UPDATE OR DELETE ON agreements_priceline
    FOR EACH ROW EXECUTE FUNCTION agreements_price_is_fixed();

CREATE FUNCTION agreements_acceptance_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an acceptance never changes: % refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER agreements_acceptance_fixed BEFORE UPDATE OR DELETE ON agreements_acceptance
    FOR EACH ROW EXECUTE FUNCTION agreements_acceptance_is_fixed();
"""
BACKWARD = """
DROP TRIGGER agreements_acceptance_fixed ON agreements_acceptance;
DROP FUNCTION agreements_acceptance_is_fixed();
DROP TRIGGER agreements_price_fixed ON agreements_priceline;
DROP FUNCTION agreements_price_is_fixed();
DROP TRIGGER agreements_text_fixed ON agreements_text;
DROP FUNCTION agreements_text_is_fixed();
"""


class Migration(migrations.Migration):
    dependencies = [("agreements", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
