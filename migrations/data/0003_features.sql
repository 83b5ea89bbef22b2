-- Calendar buckets that are right where the clock changes at midnight, functions for gaps and for values that weigh by time, and
-- what the host needs to build, to keep back and to expire derived rows.

-- ---- buckets of the calendar ----

-- The first moment at which the zone's clock reads `reading`; where that reading is skipped, the change that skips it.
CREATE FUNCTION penstock.local_moment(reading timestamp, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    found timestamptz := reading AT TIME ZONE zone;
    day_before timestamp := (found - interval '24 hours') AT TIME ZONE zone;
    earlier timestamptz;
    low bigint;
    high bigint;
    middle bigint;
BEGIN
    IF day_before = reading - interval '24 hours' AND found AT TIME ZONE zone = reading THEN
        RETURN found; -- no change of the clock within the day before
    END IF;
    -- by the offset that held a day before
    earlier := (reading - (day_before - ((found - interval '24 hours') AT TIME ZONE 'UTC'))) AT TIME ZONE 'UTC';
    IF earlier AT TIME ZONE zone = reading AND earlier < found THEN
        RETURN earlier;
    END IF;
    IF found AT TIME ZONE zone = reading THEN
        RETURN found;
    END IF;
    low := floor(extract(epoch FROM found - interval '24 hours'));
    high := ceil(extract(epoch FROM greatest(found, earlier)));
    WHILE high - low > 1 LOOP
        middle := (low + high) / 2;
        IF to_timestamp(middle) AT TIME ZONE zone >= reading THEN
            high := middle;
        ELSE
            low := middle;
        END IF;
    END LOOP;
    RETURN to_timestamp(high);
END
$$;

-- The boundary of the calendar at or before a reading of the clock: whole months since 1970-01, days since 1970-01-01, weeks
-- since Monday 1970-01-05.
CREATE FUNCTION penstock.calendar_floor(width interval, reading timestamp) RETURNS timestamp
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    months integer := extract(year FROM width) * 12 + extract(month FROM width);
    month integer;
BEGIN
    IF months > 0 THEN
        month := (extract(year FROM reading) - 1970) * 12 + extract(month FROM reading) - 1;
        RETURN timestamp '1970-01-01' + make_interval(months => (floor(month::numeric / months) * months)::integer);
    END IF;
    RETURN date_bin(width, reading, CASE WHEN extract(epoch FROM width)::bigint % 604800 = 0
                                         THEN timestamp '1970-01-05' ELSE timestamp '1970-01-01' END);
END
$$;

-- Whether a width follows the calendar: months, or whole days.
CREATE FUNCTION penstock.is_calendar(width interval) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT extract(year FROM width) * 12 + extract(month FROM width) > 0 OR extract(epoch FROM width)::bigint % 86400 = 0
$$;

CREATE FUNCTION penstock.calendar_bucket(width interval, ts timestamptz, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    boundary timestamp;
    bucket timestamptz;
    following timestamptz;
BEGIN
    IF ts IS NULL OR NOT isfinite(ts) THEN
        RETURN ts;
    END IF;
    IF NOT penstock.is_calendar(width) THEN
        RETURN date_bin(width, ts, timestamptz '1970-01-01 00:00:00+00');
    END IF;
    boundary := penstock.calendar_floor(width, ts AT TIME ZONE zone);
    IF zone = 'UTC' THEN
        RETURN boundary AT TIME ZONE 'UTC';
    END IF;
    bucket := penstock.local_moment(boundary, zone);
    -- around a change the clock may read the day before, or after, the one that holds the moment
    WHILE bucket > ts LOOP
        boundary := boundary - width;
        bucket := penstock.local_moment(boundary, zone);
    END LOOP;
    LOOP
        following := penstock.local_moment(boundary + width, zone);
        EXIT WHEN following > ts;
        boundary := boundary + width;
        bucket := following;
    END LOOP;
    RETURN bucket;
END
$$;

CREATE FUNCTION penstock.calendar_end(width interval, bucket timestamptz, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    boundary timestamp;
    following timestamptz;
BEGIN
    IF bucket IS NULL OR NOT isfinite(bucket) OR NOT penstock.is_calendar(width) THEN
        RETURN bucket + width;
    END IF;
    boundary := penstock.calendar_floor(width, bucket AT TIME ZONE zone);
    LOOP
        boundary := boundary + width;
        following := penstock.local_moment(boundary, zone);
        EXIT WHEN following > bucket;
    END LOOP;
    RETURN following;
END
$$;

CREATE OR REPLACE FUNCTION penstock.time_bucket(width interval, ts timestamptz, zone text DEFAULT 'UTC') RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN width < interval '1 day' THEN date_bin(width, ts, timestamptz '1970-01-01 00:00:00+00')
                ELSE penstock.calendar_bucket(width, ts, zone) END
$$;

CREATE OR REPLACE FUNCTION penstock.bucket_end(width interval, bucket timestamptz, zone text DEFAULT 'UTC') RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN width < interval '1 day' THEN bucket + width ELSE penstock.calendar_end(width, bucket, zone) END
$$;

-- ---- gaps ----

-- The points nearest to a moment, whatever their order. State: {seconds, value} of the one at or before it, then of the one at or
-- after it; NULL where there is none.
CREATE FUNCTION penstock.around_step(state double precision[], value double precision, at timestamptz, target timestamptz)
RETURNS double precision[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    second double precision := extract(epoch FROM at - target);
BEGIN
    IF penstock.finite(value) IS NULL OR second IS NULL THEN
        RETURN state;
    END IF;
    state := coalesce(state, ARRAY[NULL, NULL, NULL, NULL]::double precision[]);
    IF second <= 0 AND (state[1] IS NULL OR second >= state[1]) THEN
        state[1] := second;
        state[2] := value;
    END IF;
    IF second >= 0 AND (state[3] IS NULL OR second < state[3]) THEN
        state[3] := second;
        state[4] := value;
    END IF;
    RETURN state;
END
$$;
CREATE FUNCTION penstock.interpolate_final(state double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN state[1] = 0 THEN state[2] WHEN state[1] IS NOT NULL AND state[3] IS NOT NULL
                THEN state[2] + (state[4] - state[2]) * -state[1] / (state[3] - state[1]) END
$$;
CREATE FUNCTION penstock.value_at_final(state double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT state[2] $$;
-- interpolate(value, time, target): on the straight line between the points around `target`; NULL outside of them.
CREATE AGGREGATE penstock.interpolate(double precision, timestamptz, timestamptz) (
    SFUNC = penstock.around_step, STYPE = double precision[], FINALFUNC = penstock.interpolate_final);
-- value_at(value, time, target): the last value at or before `target`; NULL before the first.
CREATE AGGREGATE penstock.value_at(double precision, timestamptz, timestamptz) (
    SFUNC = penstock.around_step, STYPE = double precision[], FINALFUNC = penstock.value_at_final);

-- ---- weighed by time, between two bounds ----

-- State: {seconds of the last point since lower, its value, area, seconds covered, seconds from lower to upper, 1 = hold}.
-- Points come in order of time; those outside of the bounds count for the line, or the value, that reaches into them.
CREATE FUNCTION penstock.weighed_step(state double precision[], value double precision, at timestamptz, lower timestamptz,
                                      upper timestamptz, method text)
RETURNS double precision[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    second double precision := extract(epoch FROM at - lower);
    width double precision := extract(epoch FROM upper - lower);
    hold double precision := (method = 'locf')::integer;
    a double precision;
    b double precision;
    slope double precision;
BEGIN
    IF penstock.finite(value) IS NULL OR second IS NULL OR width IS NULL THEN
        RETURN state;
    END IF;
    IF method NOT IN ('locf', 'linear') THEN
        RAISE EXCEPTION 'the method is ''linear'' or ''locf'', not ''%''', method USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF state IS NULL THEN
        RETURN ARRAY[second, value, 0, 0, width, hold];
    END IF;
    IF second < state[1] THEN
        RAISE EXCEPTION 'a function weighed by time needs its rows in order: say (value, time, … ORDER BY time)'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    a := greatest(state[1], 0);
    b := least(second, width);
    IF b > a THEN
        IF hold = 1 THEN
            state[3] := state[3] + state[2] * (b - a);
        ELSE
            slope := (value - state[2]) / (second - state[1]);
            state[3] := state[3] + (state[2] + slope * ((a + b) / 2 - state[1])) * (b - a);
        END IF;
        state[4] := state[4] + (b - a);
    END IF;
    state[1] := second;
    state[2] := value;
    RETURN state;
END
$$;
CREATE FUNCTION penstock.linear_step(state double precision[], value double precision, at timestamptz, lower timestamptz,
                                     upper timestamptz)
RETURNS double precision[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT penstock.weighed_step(state, value, at, lower, upper, 'linear')
$$;
CREATE FUNCTION penstock.state_step(state double precision[], condition boolean, at timestamptz, lower timestamptz,
                                    upper timestamptz)
RETURNS double precision[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT penstock.weighed_step(state, condition::integer, at, lower, upper, 'locf')
$$;
-- With the last value held up to the upper bound where values are held: {area, seconds covered}.
CREATE FUNCTION penstock.weighed_whole(state double precision[]) RETURNS double precision[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN state[6] = 1 AND state[1] < state[5]
                THEN ARRAY[state[3] + state[2] * (state[5] - greatest(state[1], 0)), state[4] + state[5] - greatest(state[1], 0)]
                ELSE ARRAY[state[3], state[4]] END
$$;
CREATE FUNCTION penstock.weighed_integral_final(state double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN w[2] > 0 THEN w[1] END FROM (SELECT penstock.weighed_whole(state) AS w) s
$$;
CREATE FUNCTION penstock.weighed_avg_final(state double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN w[2] > 0 THEN w[1] / w[2] WHEN state[1] >= 0 AND state[1] < state[5] THEN state[2] END
    FROM (SELECT penstock.weighed_whole(state) AS w) s
$$;
-- (value, time, lower, upper [, 'linear' | 'locf'] ORDER BY time): area in value × seconds, average, seconds of a condition.
CREATE AGGREGATE penstock.integral(double precision, timestamptz, timestamptz, timestamptz) (
    SFUNC = penstock.linear_step, STYPE = double precision[], FINALFUNC = penstock.weighed_integral_final);
CREATE AGGREGATE penstock.integral(double precision, timestamptz, timestamptz, timestamptz, text) (
    SFUNC = penstock.weighed_step, STYPE = double precision[], FINALFUNC = penstock.weighed_integral_final);
CREATE AGGREGATE penstock.time_weighted_avg(double precision, timestamptz, timestamptz, timestamptz) (
    SFUNC = penstock.linear_step, STYPE = double precision[], FINALFUNC = penstock.weighed_avg_final);
CREATE AGGREGATE penstock.time_weighted_avg(double precision, timestamptz, timestamptz, timestamptz, text) (
    SFUNC = penstock.weighed_step, STYPE = double precision[], FINALFUNC = penstock.weighed_avg_final);
CREATE AGGREGATE penstock.state_duration(boolean, timestamptz, timestamptz, timestamptz) (
    SFUNC = penstock.state_step, STYPE = double precision[], FINALFUNC = penstock.weighed_integral_final);

-- ---- counters ----

-- What a counter that only grows has grown by; a smaller reading is a counter that began again at zero. State: {last reading, sum,
-- readings counted, seconds of the last}. A growth belongs to the reading that shows it.
CREATE FUNCTION penstock.counter_step(state double precision[], value double precision, at timestamptz, lower timestamptz,
                                      upper timestamptz)
RETURNS double precision[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    second double precision := extract(epoch FROM at);
BEGIN
    IF penstock.finite(value) IS NULL OR at IS NULL OR at >= upper THEN
        RETURN state;
    END IF;
    IF state IS NULL THEN
        RETURN ARRAY[value, 0, 0, second];
    END IF;
    IF second < state[4] THEN
        RAISE EXCEPTION 'counter_delta needs its rows in order: say (value, time, … ORDER BY time)'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF at >= lower THEN
        state[2] := state[2] + CASE WHEN value >= state[1] THEN value - state[1] ELSE value END;
        state[3] := state[3] + 1;
    END IF;
    state[1] := value;
    state[4] := second;
    RETURN state;
END
$$;
CREATE FUNCTION penstock.counter_all_step(state double precision[], value double precision, at timestamptz)
RETURNS double precision[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT penstock.counter_step(state, value, at, '-infinity', 'infinity')
$$;
CREATE FUNCTION penstock.counter_final(state double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN state[3] > 0 THEN state[2] END $$;
CREATE AGGREGATE penstock.counter_delta(double precision, timestamptz) (
    SFUNC = penstock.counter_all_step, STYPE = double precision[], FINALFUNC = penstock.counter_final);
CREATE AGGREGATE penstock.counter_delta(double precision, timestamptz, timestamptz, timestamptz) (
    SFUNC = penstock.counter_step, STYPE = double precision[], FINALFUNC = penstock.counter_final);

-- ---- builds ----

-- A featurestore that is computed whole, or for a stretch of time, newest first: everything from `cursor` on is done. Moves in the
-- transaction of the rows.
CREATE TABLE penstock.build (
    wid integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('first', 'beside', 'backfill')),
    hash text NOT NULL, -- of the definition that is built
    lower timestamptz NOT NULL,
    upper timestamptz NOT NULL,
    cursor timestamptz NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    rows bigint NOT NULL DEFAULT 0,
    busy_us bigint NOT NULL DEFAULT 0,
    problem text,
    started timestamptz NOT NULL DEFAULT now(),
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, key)
) WITH (fillfactor = 50);

-- ---- ledger ----

-- Rows that came too late for a dependant (booked under its name), and rows that retention removed.
DO $$
DECLARE
    book regclass;
BEGIN
    FOR book IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'penstock' AND c.relkind = 'r' AND c.relname ~ '^ledger_wid[0-9]+$' LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN too_late bigint NOT NULL DEFAULT 0, '
                       'ADD COLUMN expired bigint NOT NULL DEFAULT 0', book);
    END LOOP;
END
$$;
