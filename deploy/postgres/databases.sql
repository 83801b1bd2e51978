-- One database per service: each owns its store.
CREATE DATABASE leadline_referral;
CREATE DATABASE leadline_assessment;
CREATE DATABASE leadline_placement;
CREATE DATABASE leadline_notify;
