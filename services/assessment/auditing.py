"""What an audit compares: caseloads with the cases, and cases with what other services keep of them."""

from sqlalchemy import text

from services.kernel.postgres.connection import Connection

LED = """
    SELECT case_id AS key, version,
           jsonb_build_array(
               child_id, CASE status WHEN 'closed' THEN 'closed' ELSE 'open' END,
               CASE WHEN status <> 'closed' THEN lead_professional_id END, locality
           )::text AS facts
    FROM cases
"""
"""Every case: the child, open or closed, who leads it while it is open, and where."""

CONCLUDED = """
    SELECT case_id AS key, version,
           jsonb_build_array(
               child_id, CASE WHEN close_reason IS DISTINCT FROM 'threshold_not_met' THEN level END,
               CASE status WHEN 'closed' THEN 'closed' ELSE 'open' END
           )::text AS facts
    FROM cases WHERE status <> 'assessing'
"""
"""Every case whose assessment is concluded: the child, the level if a threshold was met, open or closed."""

WRONG_CASELOADS = text("""
    SELECT coalesce(caseloads.practitioner_id, led.practitioner_id)
    FROM caseloads FULL JOIN (
        SELECT lead_professional_id AS practitioner_id, count(*) AS cases, sum(points) AS points
        FROM cases WHERE status <> 'closed' GROUP BY lead_professional_id
    ) AS led USING (practitioner_id)
    WHERE (coalesce(caseloads.cases, 0), coalesce(caseloads.points, 0))
          <> (coalesce(led.cases, 0), coalesce(led.points, 0))
    ORDER BY 1
""")


async def wrong_caseloads(connection: Connection) -> list[str]:
    """Return whoever has another caseload than their open cases add up to."""
    return [row[0] for row in await connection.execute(WRONG_CASELOADS)]
