from django.db import migrations

FORWARD = """
CREATE FUNCTION trade_setting_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a version is never changed: % refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER trade_setting_append_only BEFORE UPDATE OR DELETE ON trade_setting
    FOR EACH ROW EXECUTE FUNCTION trade_setting_is_append_only();
"""
BACKWARD = """
DROP TRIGGER trade_setting_append_only ON trade_setting;
DROP FUNCTION trade_setting_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("trade", "0001_settings_of_the_trade")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
