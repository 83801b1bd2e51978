"""Placements and their objectives, the cases they hang on, and looked-after history."""

from alembic import op

revision = "placement_0001"
down_revision = None
branch_labels = ("placement",)
depends_on = ("kernel_0001",)

TABLES = (
    """
    CREATE TABLE known_cases (
        case_id uuid PRIMARY KEY,
        child_id uuid NOT NULL,
        level smallint CHECK (level BETWEEN 1 AND 4),
        level_since timestamptz,
        status text NOT NULL CHECK (status IN ('open', 'closed')),
        CHECK ((level IS NULL) = (level_since IS NULL)),
        CHECK (level IS NOT NULL OR status = 'closed')  -- a case is heard of first by its threshold
    )
    """,
    "CREATE INDEX known_cases_child ON known_cases (child_id)",
    """
    CREATE TABLE placements (
        placement_id uuid PRIMARY KEY,
        version integer NOT NULL CHECK (version > 0),
        status text NOT NULL CHECK (status IN ('requested', 'started', 'ended')),
        child_id uuid NOT NULL,
        case_id uuid NOT NULL,
        kind text NOT NULL,
        need_group text NOT NULL,
        requested_by text NOT NULL,
        requested_at timestamptz NOT NULL,
        provider_id text,
        location text NOT NULL CHECK (location IN ('in_county', 'out_of_county', 'unknown')),
        started_on date,
        reviews_held integer NOT NULL,
        last_review_on date,
        ended_on date,
        end_reason text,
        exit_interview text NOT NULL CHECK (exit_interview IN ('none', 'due', 'overdue', 'completed')),
        exit_interview_due_at timestamptz,
        exit_interview_held_on date,
        CHECK ((status = 'requested') = (started_on IS NULL)),
        CHECK ((status = 'ended') = (ended_on IS NOT NULL)),
        CHECK (ended_on >= started_on),
        CHECK ((status = 'ended') = (exit_interview <> 'none')),  -- every child who leaves is asked
        CHECK ((exit_interview = 'completed') = (exit_interview_held_on IS NOT NULL))
    )
    """,
    # One live placement per child, also when two requests arrive at the same moment.
    "CREATE UNIQUE INDEX placements_live ON placements (child_id) WHERE status IN ('requested', 'started')",
    "CREATE INDEX placements_case ON placements (case_id)",
    "CREATE INDEX placements_recent ON placements (requested_at DESC, placement_id)",
    """
    CREATE TABLE objectives (
        objective_id uuid PRIMARY KEY,
        placement_id uuid NOT NULL REFERENCES placements (placement_id),
        number integer NOT NULL CHECK (number > 0),
        domain text NOT NULL,
        words text NOT NULL,  -- personal: it never leaves the store but to a person who may see the child
        outcome text NOT NULL CHECK (outcome IN ('open', 'met', 'not_met')),
        childs_words text,    -- likewise
        UNIQUE (placement_id, number),
        CHECK (outcome <> 'open' OR childs_words IS NULL)
    )
    """,
    """
    CREATE TABLE looked_after_children (
        child_id uuid PRIMARY KEY,
        first_return_year smallint NOT NULL,
        last_return_year smallint NOT NULL,
        CHECK (first_return_year <= last_return_year)
    )
    """,
    """
    CREATE TABLE episodes (
        episode_id uuid PRIMARY KEY,  -- derived from the child and the first day: reported twice, kept once
        version integer NOT NULL CHECK (version > 0),
        status text NOT NULL CHECK (status IN ('open', 'ended')),
        child_id uuid NOT NULL,
        return_year smallint NOT NULL,
        started_on date NOT NULL,
        reason_started text NOT NULL,
        legal_status text NOT NULL,
        need text NOT NULL,
        placement_type text NOT NULL,
        placement_provider text,
        ended_on date,
        reason_ended text,
        reason_place_change text,
        UNIQUE (child_id, started_on),
        CHECK ((status = 'ended') = (ended_on IS NOT NULL)),
        CHECK (ended_on >= started_on)
    )
    """,
    """
    CREATE TABLE looked_after_reviews (
        review_id uuid PRIMARY KEY,
        version integer NOT NULL CHECK (version > 0),
        child_id uuid NOT NULL,
        return_year smallint NOT NULL,
        reviewed_on date NOT NULL,
        review_code text NOT NULL
    )
    """,
    "CREATE INDEX looked_after_reviews_child ON looked_after_reviews (child_id, reviewed_on)",
    """
    CREATE TABLE missing_episodes (
        missing_id uuid PRIMARY KEY,
        version integer NOT NULL CHECK (version > 0),
        child_id uuid NOT NULL,
        return_year smallint NOT NULL,
        kind text NOT NULL CHECK (kind IN ('missing', 'away')),
        started_on date NOT NULL,
        ended_on date,
        CHECK (ended_on >= started_on)
    )
    """,
    "CREATE INDEX missing_episodes_child ON missing_episodes (child_id, started_on)",
)


def upgrade() -> None:
    """Create the tables, one statement at a time: the driver prepares them."""
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Remove the tables; for development only."""
    op.execute(
        "DROP TABLE missing_episodes, looked_after_reviews, episodes, looked_after_children, objectives, "
        "placements, known_cases"
    )
