-- Functions that governed SQL may call. They stay open to PUBLIC, who must first be let into the schema; so none of them may
-- ever be SECURITY DEFINER. Buckets count from the epoch; weeks begin on Monday; months and years follow the
-- calendar; days and longer follow the local calendar of the zone, so they have 23 to 25 hours where clocks change.

-- The bucket that holds a point in time. Fixed widths below a day are counted in UTC.
CREATE FUNCTION penstock.time_bucket(width interval, ts timestamptz, zone text DEFAULT 'UTC') RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN extract(year FROM width) * 12 + extract(month FROM width) > 0 THEN
            -- months since 1970-01, whole buckets of them
            (timestamp '1970-01-01' + make_interval(months => (
                floor(((extract(year FROM ts AT TIME ZONE zone) - 1970) * 12 + extract(month FROM ts AT TIME ZONE zone) - 1)
                      / (extract(year FROM width) * 12 + extract(month FROM width)))
                * (extract(year FROM width) * 12 + extract(month FROM width)))::int)) AT TIME ZONE zone
        WHEN extract(epoch FROM width) >= 86400 AND extract(epoch FROM width)::bigint % 604800 = 0 THEN
            date_bin(width, ts AT TIME ZONE zone, timestamp '1970-01-05') AT TIME ZONE zone
        WHEN extract(epoch FROM width)::bigint % 86400 = 0 AND extract(epoch FROM width) >= 86400 THEN
            date_bin(width, ts AT TIME ZONE zone, timestamp '1970-01-01') AT TIME ZONE zone
        ELSE date_bin(width, ts, timestamptz '1970-01-01 00:00:00+00')
    END
$$;

-- Where a bucket ends.
CREATE FUNCTION penstock.bucket_end(width interval, bucket timestamptz, zone text DEFAULT 'UTC') RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN extract(epoch FROM width) >= 86400 AND (extract(month FROM width) + extract(year FROM width) > 0
             OR extract(epoch FROM width)::bigint % 86400 = 0)
            THEN (bucket AT TIME ZONE zone + width) AT TIME ZONE zone
        ELSE bucket + width
    END
$$;

CREATE FUNCTION penstock.bucket_bounds(width interval, ts timestamptz, zone text DEFAULT 'UTC',
                                       OUT lower timestamptz, OUT upper timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT b, penstock.bucket_end(width, b, zone) FROM (SELECT penstock.time_bucket(width, ts, zone) AS b) s
$$;

-- NULL for NaN and the infinities: they are stored, but must not poison an average.
CREATE FUNCTION penstock.finite(value double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value BETWEEN '-1.7976931348623157e308'::float8 AND '1.7976931348623157e308'::float8 THEN value END
$$;

-- Last observation carried forward: a window aggregate, locf(x) OVER (PARTITION BY … ORDER BY …).
CREATE FUNCTION penstock.locf_step(state anyelement, value anyelement) RETURNS anyelement
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT coalesce(value, state) $$;
CREATE AGGREGATE penstock.locf(anyelement) (SFUNC = penstock.locf_step, STYPE = anyelement);

-- All bucket starts in [lower, upper), to be joined from the left.
CREATE FUNCTION penstock.gapfill(width interval, lower timestamptz, upper timestamptz, zone text DEFAULT 'UTC')
RETURNS SETOF timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1000 AS $$
DECLARE
    bucket timestamptz := penstock.time_bucket(width, lower, zone);
    made integer := 0;
BEGIN
    WHILE bucket < upper LOOP
        RETURN NEXT bucket;
        bucket := penstock.bucket_end(width, bucket, zone);
        made := made + 1;
        IF made > 1000000 THEN
            RAISE EXCEPTION 'gapfill: more than 1000000 buckets' USING ERRCODE = 'program_limit_exceeded';
        END IF;
    END LOOP;
END
$$;

-- Area under the line through the points, trapezoids, in value × seconds. State: {last second, last value, area, first second, n}.
-- Points must come in order of time: integral(value, time ORDER BY time). NULL and non-finite values are left out.
CREATE FUNCTION penstock.integral_step(state double precision[], value double precision, at timestamptz)
RETURNS double precision[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    second double precision := extract(epoch FROM at);
BEGIN
    IF penstock.finite(value) IS NULL OR at IS NULL THEN
        RETURN state;
    END IF;
    IF state IS NULL THEN
        RETURN ARRAY[second, value, 0, second, 1];
    END IF;
    IF second < state[1] THEN
        RAISE EXCEPTION 'integral and time_weighted_avg need their rows in order: say (value, time ORDER BY time)'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN ARRAY[second, value, state[3] + (second - state[1]) * (value + state[2]) / 2, state[4], state[5] + 1];
END
$$;
CREATE FUNCTION penstock.integral_final(state double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN state[5] > 1 THEN state[3] END $$;
CREATE FUNCTION penstock.time_weighted_final(state double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN state[1] > state[4] THEN state[3] / (state[1] - state[4]) ELSE state[2] END
$$;
CREATE AGGREGATE penstock.integral(double precision, timestamptz) (
    SFUNC = penstock.integral_step, STYPE = double precision[], FINALFUNC = penstock.integral_final);
CREATE AGGREGATE penstock.time_weighted_avg(double precision, timestamptz) (
    SFUNC = penstock.integral_step, STYPE = double precision[], FINALFUNC = penstock.time_weighted_final);
